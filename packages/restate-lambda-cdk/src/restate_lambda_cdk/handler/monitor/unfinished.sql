-- Every invocation that has not ended, with VQueues and without: a query for Restate's introspection tables.
-- With VQueues, an invocation whose next attempt is two seconds or more away waits in its queue. sys_invocation then
-- calls it `ready` and knows of no failure: the queue counts the attempts, the journal's events have the last error.
SELECT
    i.id,
    i.target_service_name AS service,
    i.target,
    CASE
        WHEN i.status = 'ready' AND q.status = 'backing-off' THEN 'backing-off'
        WHEN i.status IN ('ready', 'pending') THEN 'queued'
        ELSE i.status
    END AS status,
    coalesce(q.retry_attempts, 0) + coalesce(i.retry_count - CAST(i.status = 'running' AS INT), 0) AS failures,
    i.created_at AS since,
    -- An attempt that fails does not modify it; what it has got done, or begins to wait for, does.
    CASE
        WHEN i.status IN ('ready', 'pending', 'backing-off', 'paused') OR q.retry_attempts > 0 OR i.retry_count > 1
            THEN greatest(i.modified_at, coalesce(q.first_runnable_at, i.modified_at))
    END AS stuck_since,
    f.failure,
    i.pinned_deployment_id AS pinned
FROM sys_invocation i
LEFT JOIN sys_vqueue_entry_status q ON q.entry_id = i.id
LEFT JOIN (
    SELECT
        id,
        last_value(
            concat('[', json_get_int(event_json, 'error_code'), '] ', json_get_str(event_json, 'error_message'))
            ORDER BY appended_at
        ) AS failure
    FROM sys_journal_events
    WHERE event_type = 'TransientError'
    GROUP BY id
) f ON f.id = i.id
WHERE i.status != 'completed'
