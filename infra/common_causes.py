"""Composite alarms: alarms of one cause arrive as one message."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.alarms import CAUSE, Cause, described


class CommonCauses(Construct):
    """A composite alarm for each cause that several alarms share, and for waits that no failing vendor explains.

    A composite alarm notifies when its first alarm begins and when its last one ends. Only alarms with the same remedy
    share one, because a second problem of the same cause raises no second message.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-combining.html

    Attributes:
        notifying: the alarms that notify: the composite ones, and those without a common cause.

    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        long_waits: cloudwatch.IAlarm,
        vendors_failing: cloudwatch.IAlarm,
    ) -> None:
        """Combine the alarms of the stack.

        Args:
            scope: the construct it belongs to.
            id: its id there.
            long_waits: the alarm on the longest wait.
            vendors_failing: the alarm on failing vendors, whose cases wait long.

        """
        super().__init__(scope, id)
        every = [each for each in cdk.Stack.of(self).node.find_all() if isinstance(each, cloudwatch.Alarm)]
        causes = {
            each.node.path: next((entry.data for entry in each.node.metadata if entry.type == CAUSE), None)
            for each in every
        }
        self.notifying: list[cloudwatch.AlarmBase] = [
            each for each in every if causes[each.node.path] is None and each.node.path != long_waits.node.path
        ]
        for cause in Cause:
            name, says, do = cause.value
            children = [each for each in every if causes[each.node.path] == cause.name]
            self._combine(name, cloudwatch.AlarmRule.any_of(*map(_raised, children)), says, do)
        self._combine(
            "LongWaits",
            cloudwatch.AlarmRule.all_of(_raised(long_waits), cloudwatch.AlarmRule.not_(_raised(vendors_failing))),
            "a case has waited for most of its deadline, and its vendor answers",
            "`dossier watch` shows it; see `dossier explain REFERENCE`; ask the vendor, or give it longer "
            "(poll.deadline)",
        )

    def _combine(self, name: str, rule: cloudwatch.IAlarmRule, says: str, do: str) -> None:
        do = f"the message names the alarms behind it, and each says more; {do}"
        self.notifying.append(
            cloudwatch.CompositeAlarm(self, name, alarm_rule=rule, alarm_description=described(self, says, do))
        )


def _raised(alarm: cloudwatch.IAlarm) -> cloudwatch.IAlarmRule:
    return cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM)
