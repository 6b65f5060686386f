"""One file a table; importing this package knows them all."""

from .action import Action
from .action_target import ActionTarget
from .agent import Agent
from .api_key import ApiKey
from .artifact import Artifact
from .backfill import Backfill
from .base import Base
from .block import Block
from .block_change import BlockChange
from .block_load import BlockLoad
from .block_reference import BlockReference
from .block_schema import BlockSchema
from .block_type import BlockType
from .cached_result import CachedResult, CacheLock
from .calendar import CalendarDays
from .chain import Chain, ChainRun, ChainVersion
from .deployment import Deployment
from .deployment_hold import DeploymentHold
from .deployment_resource import DeploymentResource
from .desk_item import DeskItem
from .discovery import Discovery
from .event import Event
from .event_cursor import EventCursor
from .expectation import Expectation
from .expectation_occurrence import ExpectationOccurrence
from .firing import Firing
from .flow import Flow
from .flow_message import FlowMessage
from .flow_question import FlowQuestion
from .flow_run import FlowRun
from .flow_run_state import FlowRunState
from .hold import Hold
from .limit_lease import LimitLease
from .log import Log
from .login_link import LoginLink
from .ping import Ping
from .producer import Producer
from .relation import Relation
from .resource import Resource
from .resource_limit import ResourceLimit
from .resource_rule import ResourceRule
from .resource_state import ResourceState
from .saved_form import SavedForm
from .schedule import Schedule
from .slot_lease import SlotLease
from .task_job import TaskJob
from .task_run import TaskRun
from .task_run_state import TaskRunState
from .template_reference import TemplateReference
from .tick import Tick
from .trigger import Trigger
from .trigger_bucket import TriggerBucket
from .variable import Variable
from .webhook import Webhook
from .webhook_delivery import WebhookDelivery
from .work_queue import WorkQueue

__all__ = [
    "Action",
    "ActionTarget",
    "Agent",
    "ApiKey",
    "Artifact",
    "Backfill",
    "Base",
    "Block",
    "BlockChange",
    "BlockLoad",
    "BlockReference",
    "BlockSchema",
    "BlockType",
    "CacheLock",
    "CachedResult",
    "CalendarDays",
    "Chain",
    "ChainRun",
    "ChainVersion",
    "Deployment",
    "DeploymentHold",
    "DeploymentResource",
    "DeskItem",
    "Discovery",
    "Event",
    "EventCursor",
    "Expectation",
    "ExpectationOccurrence",
    "Firing",
    "Flow",
    "FlowMessage",
    "FlowQuestion",
    "FlowRun",
    "FlowRunState",
    "Hold",
    "LimitLease",
    "Log",
    "LoginLink",
    "Ping",
    "Producer",
    "Relation",
    "Resource",
    "ResourceLimit",
    "ResourceRule",
    "ResourceState",
    "SavedForm",
    "Schedule",
    "SlotLease",
    "TaskJob",
    "TaskRun",
    "TaskRunState",
    "TemplateReference",
    "Tick",
    "Trigger",
    "TriggerBucket",
    "Variable",
    "Webhook",
    "WebhookDelivery",
    "WorkQueue",
]
