"""One file a table; importing this package knows them all."""

from .agent import Agent
from .api_key import ApiKey
from .artifact import Artifact
from .base import Base
from .block import Block
from .block_reference import BlockReference
from .block_schema import BlockSchema
from .block_type import BlockType
from .deployment import Deployment
from .discovery import Discovery
from .event import Event
from .flow import Flow
from .flow_run import FlowRun
from .flow_run_state import FlowRunState
from .log import Log
from .login_link import LoginLink
from .producer import Producer
from .relation import Relation
from .resource import Resource
from .schedule import Schedule
from .task_run import TaskRun
from .task_run_state import TaskRunState
from .tick import Tick
from .work_queue import WorkQueue

__all__ = [
    "Agent",
    "ApiKey",
    "Artifact",
    "Base",
    "Block",
    "BlockReference",
    "BlockSchema",
    "BlockType",
    "Deployment",
    "Discovery",
    "Event",
    "Flow",
    "FlowRun",
    "FlowRunState",
    "Log",
    "LoginLink",
    "Producer",
    "Relation",
    "Resource",
    "Schedule",
    "TaskRun",
    "TaskRunState",
    "Tick",
    "WorkQueue",
]
