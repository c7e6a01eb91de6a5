"""The saga as a state machine. Its input is made by the front door: every id, and what each step is given.

A compensation is idempotent and leaves a tombstone, so a step that failed in an unknown way is compensated too: each
step's Catch goes to the compensation of that very step, and from there backwards. Each step is tried up to 8 times;
compensations and notices without end, as far as a workflow of this type lives.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

FINAL_ERRORS = ["SimulatedError", "NotReservedError", "DuplicateError"]  # raised on purpose: a retry would not help
WITHOUT_END = 99999999
INPUT = "$states.context.Execution.Input"
CAUSE = (
    "{% $states.errorOutput.Error in ['SimulatedError', 'NotReservedError'] "
    "? $parse($states.errorOutput.Cause).errorMessage : 'it kept failing and was given up' %}"
)
REASON = (
    "{% $states.errorOutput.Error = 'SimulatedError' ? 'simulated' "
    ": $states.errorOutput.Error = 'NotReservedError' ? 'not reserved' : 'given up' %}"
)
NOTICE = (
    f"$string($merge([{INPUT}.notice, "
    "{'invocation_id': $states.context.Execution.Id, 'status': '%s', 'message': %s}]))"
)
BOOKED = f"'Trip ' & {INPUT}.trip_id & ' is booked.'"
NOT_BOOKED = (
    f"'Trip ' & {INPUT}.trip_id & ' was not booked: ' & $failure.step & ' failed (' & $failure.cause "
    "& '). Compensations: ' & $failure.compensations & '.'"
)


class Workflow(Construct):
    """functions: the version to invoke for each step and each compensation. topic: where notices go."""

    def __init__(
        self, scope: Construct, construct_id: str, functions: Mapping[str, lambda_.IFunction], topic: sns.Topic
    ) -> None:
        super().__init__(scope, construct_id)
        self._functions = functions
        self._topic = topic

        # The compensations, newest first, then the notice
        cause = f"{{% $string($merge([$failure, {{'message': {NOT_BOOKED}}}])) %}}"
        failed = sfn.Fail.jsonata(self, "Not booked", error="NotBooked", cause=cause)
        notify_failure = self._notify("Notify failure", "failure", NOT_BOOKED).next(failed)
        cancel_flight = self._invoke("Cancel flight", "flights.cancel", WITHOUT_END).next(notify_failure)
        cancel_car = self._invoke("Cancel car", "cars.cancel", WITHOUT_END).next(cancel_flight)
        refund_payment = self._invoke("Refund payment", "payments.refund", WITHOUT_END).next(cancel_car)
        all_three = "payments.refund, cars.cancel, flights.cancel"

        # Another reservation has the trip id: nothing was reserved, that trip is left alone, and no notice goes out
        duplicate = sfn.Fail.jsonata(self, "Duplicate", error="Duplicate", cause="another reservation has this trip id")

        # The steps, each with the state that its failure goes to
        reserve_flight = self._invoke("Reserve flight", "flights.reserve", 7)
        reserve_flight.add_catch(duplicate, errors=["DuplicateError"])
        last: Any = self._caught(reserve_flight, "flights.reserve", cancel_flight, "flights.cancel")
        for name, function, compensation, compensations in (
            ("Reserve car", "cars.reserve", cancel_car, "cars.cancel, flights.cancel"),
            ("Process payment", "payments.process", refund_payment, all_three),
            ("Confirm flight", "flights.confirm", refund_payment, all_three),
            ("Confirm car", "cars.confirm", refund_payment, all_three),
        ):
            last = last.next(self._caught(self._invoke(name, function, 7), function, compensation, compensations))
        simulated = {"step": "trips.notify", "reason": "simulated", "compensations": all_three}
        simulated["cause"] = "simulated, as asked for by run_type failNotification"
        may_notify = sfn.Choice.jsonata(self, "May notify?").when(
            sfn.Condition.jsonata(f"{{% {INPUT}.run_type = 'failNotification' %}}"),
            refund_payment,
            assign={"failure": simulated},
        )
        self.first = last.next(may_notify.otherwise(self._notify("Notify success", "success", BOOKED)))

    def _invoke(self, name: str, function: str, retries: int) -> tasks.LambdaInvoke:
        what = {"flights": "flight", "cars": "car", "payments": "payment"}[function.split(".")[0]]
        task = tasks.LambdaInvoke.jsonata(
            self,
            name,
            lambda_function=self._functions[function],
            payload=sfn.TaskInput.from_text(f"{{% {INPUT}.{what} %}}"),
            retry_on_service_exceptions=False,  # the retriers below are for these too
        )
        if retries != WITHOUT_END:
            task.add_retry(errors=FINAL_ERRORS, max_attempts=0)
        return self._retried(task, retries)

    def _notify(self, name: str, status: str, message: str) -> tasks.SnsPublish:
        text = sfn.TaskInput.from_text(f"{{% {NOTICE % (status, message)} %}}")
        topic: Any = self._topic
        return self._retried(
            tasks.SnsPublish.jsonata(self, name, topic=topic, subject="Holiday booking", message=text), WITHOUT_END
        )

    def _retried(self, task: Any, retries: int) -> Any:
        """With the shortest interval that there is."""
        task.add_retry(
            errors=["States.ALL"],
            max_attempts=retries,
            interval=Duration.seconds(1),
            backoff_rate=2,
            max_delay=Duration.seconds(10),
            jitter_strategy=sfn.JitterType.FULL,
        )
        return task

    def _caught(self, task: tasks.LambdaInvoke, step: str, compensation: sfn.IChainable, compensations: str) -> Any:
        failure = {"step": step, "cause": CAUSE, "reason": REASON, "compensations": compensations}
        task.add_catch(compensation, errors=["States.ALL"], assign={"failure": failure})
        return task
