"""The saga as a state machine. Its input is made by the front door: every id, and what each step is given.

Undo of a step is idempotent and leaves a tombstone, so a step that failed in an unknown way is undone too: each
step's Catch goes to the undo of that very step, and from there backwards. Steps are tried eight times; undo and
notices without end, as far as a workflow of this type lives.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

REFUSALS = ["Simulated", "NotHeld", "Duplicate"]  # what a step raises on purpose: trying again would not help
INPUT = "$states.context.Execution.Input"
CAUSE = (
    "{% $states.errorOutput.Error in ['Simulated', 'NotHeld'] "
    "? $parse($states.errorOutput.Cause).errorMessage : 'it kept failing and was given up' %}"
)
REASON = (
    "{% $states.errorOutput.Error = 'Simulated' ? 'simulated' "
    ": $states.errorOutput.Error = 'NotHeld' ? 'not reserved' : 'given up' %}"
)
NOTICE = (
    f"$string($merge([{INPUT}.notice, "
    "{'invocation_id': $states.context.Execution.Id, 'status': '%s', 'message': %s}]))"
)
WHY = (
    f"'Trip ' & {INPUT}.trip_id & ' was not booked: ' & $failure.step & ' failed (' & $failure.cause "
    "& '). Compensations: ' & $failure.compensations & '.'"
)


class Workflow(Construct):
    """functions: the version to invoke for each step and undo. topic: where notices go."""

    def __init__(
        self, scope: Construct, construct_id: str, functions: Mapping[str, lambda_.IFunction], topic: sns.Topic
    ) -> None:
        super().__init__(scope, construct_id)
        self._functions = functions
        self._topic = topic

        # Undo, newest first, then the notice
        failed = sfn.Fail.jsonata(
            self, "Not booked", error="NotBooked", cause=f"{{% $string($merge([$failure, {{'message': {WHY}}}])) %}}"
        )
        notify_failure = self._notify("Notify failure", "failure", WHY).next(failed)
        cancel_flight = self._undo("Cancel flight", "flights.cancel").next(notify_failure)
        cancel_car = self._undo("Cancel car", "cars.cancel").next(cancel_flight)
        refund_payment = self._undo("Refund payment", "payments.refund").next(cancel_car)

        # An id that another trip holds: nothing was reserved, that trip is left alone, and nobody is notified
        duplicate = sfn.Fail.jsonata(self, "Duplicate", error="Duplicate", cause="the trip id is held")

        # The steps, each with its way back
        all_three = "payments.refund, cars.cancel, flights.cancel"
        reserve_flight = self._step("Reserve flight", "flights.reserve")
        reserve_flight.add_catch(duplicate, errors=["Duplicate"])
        self._catch(reserve_flight, cancel_flight, "flights.reserve", "flights.cancel")
        reserve_car = self._step("Reserve car", "cars.reserve")
        self._catch(reserve_car, cancel_car, "cars.reserve", "cars.cancel, flights.cancel")
        process_payment = self._step("Process payment", "payments.process")
        self._catch(process_payment, refund_payment, "payments.process", all_three)
        confirm_flight = self._step("Confirm flight", "flights.confirm")
        self._catch(confirm_flight, refund_payment, "flights.confirm", all_three)
        confirm_car = self._step("Confirm car", "cars.confirm")
        self._catch(confirm_car, refund_payment, "cars.confirm", all_three)
        refused = {
            "step": "trips.notify",
            "cause": "simulated, as asked for by run_type failNotification",
            "reason": "simulated",
            "compensations": all_three,
        }
        may_notify = sfn.Choice.jsonata(self, "May notify?").when(
            sfn.Condition.jsonata(f"{{% {INPUT}.run_type = 'failNotification' %}}"),
            refund_payment,
            assign={"failure": refused},
        )
        notify_success = self._notify("Notify success", "success", f"'Trip ' & {INPUT}.trip_id & ' is booked.'")

        self.first = (
            reserve_flight.next(reserve_car)
            .next(process_payment)
            .next(confirm_flight)
            .next(confirm_car)
            .next(may_notify.otherwise(notify_success))
        )

    def _step(self, name: str, function: str) -> tasks.LambdaInvoke:
        task = self._invoke(name, function)
        task.add_retry(errors=REFUSALS, max_attempts=0)
        self._retry(task, attempts=7)
        return task

    def _undo(self, name: str, function: str) -> tasks.LambdaInvoke:
        task = self._invoke(name, function)
        self._retry(task, attempts=99999999)
        return task

    def _invoke(self, name: str, function: str) -> tasks.LambdaInvoke:
        what = {"flights": "flight", "cars": "car", "payments": "payment"}[function.split(".")[0]]
        return tasks.LambdaInvoke.jsonata(
            self,
            name,
            lambda_function=self._functions[function],
            payload=sfn.TaskInput.from_text(f"{{% {INPUT}.{what} %}}"),
            retry_on_service_exceptions=False,  # the retriers below are for these too
        )

    def _notify(self, name: str, status: str, message: str) -> tasks.SnsPublish:
        task = tasks.SnsPublish.jsonata(
            self,
            name,
            topic=self._topic,  # pyright: ignore[reportArgumentType]
            subject="Holiday booking",
            message=sfn.TaskInput.from_text(f"{{% {NOTICE % (status, message)} %}}"),
        )
        self._retry(task, attempts=99999999)
        return task

    def _retry(self, task: sfn.TaskStateBase, attempts: int) -> None:
        task.add_retry(
            errors=["States.ALL"],
            max_attempts=attempts,
            interval=Duration.seconds(1),  # the shortest there is
            backoff_rate=2,
            max_delay=Duration.seconds(10),
            jitter_strategy=sfn.JitterType.FULL,
        )

    def _catch(self, task: sfn.TaskStateBase, undo: sfn.IChainable, step: str, compensations: str) -> None:
        failure: dict[str, Any] = {"step": step, "cause": CAUSE, "reason": REASON, "compensations": compensations}
        task.add_catch(undo, errors=["States.ALL"], assign={"failure": failure})
