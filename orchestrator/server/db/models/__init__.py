"""One file a table; importing this package knows them all."""

from .action import Action
from .agent import Agent
from .api_key import ApiKey
from .artifact import Artifact
from .base import Base
from .block import Block
from .block_change import BlockChange
from .block_load import BlockLoad
from .block_reference import BlockReference
from .block_schema import BlockSchema
from .block_type import BlockType
from .calendar import CalendarDays
from .deployment import Deployment
from .discovery import Discovery
from .event import Event
from .event_cursor import EventCursor
from .expectation import Expectation
from .expectation_occurrence import ExpectationOccurrence
from .firing import Firing
from .flow import Flow
from .flow_run import FlowRun
from .flow_run_state import FlowRunState
from .limit_lease import LimitLease
from .log import Log
from .login_link import LoginLink
from .notification import DeploymentNotification, Notification
from .producer import Producer
from .relation import Relation
from .resource import Resource
from .resource_limit import ResourceLimit
from .schedule import Schedule
from .task_run import TaskRun
from .task_run_state import TaskRunState
from .template_reference import TemplateReference
from .tick import Tick
from .trigger import Trigger
from .trigger_bucket import TriggerBucket
from .variable import Variable
from .work_queue import WorkQueue

__all__ = [
    "Action",
    "Agent",
    "ApiKey",
    "Artifact",
    "Base",
    "Block",
    "BlockChange",
    "BlockLoad",
    "BlockReference",
    "BlockSchema",
    "BlockType",
    "CalendarDays",
    "Deployment",
    "DeploymentNotification",
    "Discovery",
    "Event",
    "EventCursor",
    "Expectation",
    "ExpectationOccurrence",
    "Firing",
    "Flow",
    "FlowRun",
    "FlowRunState",
    "LimitLease",
    "Log",
    "LoginLink",
    "Notification",
    "Producer",
    "Relation",
    "Resource",
    "ResourceLimit",
    "Schedule",
    "TaskRun",
    "TaskRunState",
    "TemplateReference",
    "Tick",
    "Trigger",
    "TriggerBucket",
    "Variable",
    "WorkQueue",
]
