"""Memorable names for runs that nobody named, and names that are given by rule."""

from __future__ import annotations

import random

#: Flows of tasks that are served begin so, and their deployments are called so.
TASK_FLOW, BACKGROUND = "task.", "background"
#: Versions that nobody gave begin so; the hash of a source file follows.
BY_SOURCE = "sha-"

# fmt: off
_QUALITIES = """
agile amber ample azure bold brave bright brisk calm candid cheerful civil clear clever coral cosmic crisp curious
daring deft distant eager early earnest easy elegant even fair fearless festive fleet fond frank fresh gentle glad
golden grand happy hardy honest humble ideal ivory jolly keen kind lasting level light lively loyal lucid lucky
mellow merry mighty mild modest neat nimble noble olive opal patient placid plucky polite prime proud pure quick
quiet radiant rapid ready robust rosy royal serene sharp silent silver sleek smooth snug solid sparkling spirited
spry stable steady still sturdy subtle sunny swift tidy tranquil true upbeat valiant vivid warm wise witty zesty
"""
_THINGS = """
albatross antelope badger beacon beetle bison bittern brook canyon caribou cedar cicada comet condor coot coral
cormorant crane creek cricket curlew cypress delta dolphin dove dune dunlin eagle egret elk falcon fern finch fjord
fox gannet gazelle gecko glacier goose grebe grouse gull harbour harrier hawk heron hoopoe ibex ibis island jackdaw
jay kestrel kingfisher kite lagoon lapwing lark linnet lynx magpie maple marmot marten martin meadow merlin meteor
mistral moorhen nightjar oak oriole osprey otter owl oxbow pelican petrel pine pipit plover puffin quail rail raven
reef ridge river robin rook sandpiper shearwater skylark snipe sparrow spruce starling stilt stork summit swallow
swan swift teal tern thrush tide tundra vale walrus warbler waxwing willow wren
"""
# fmt: on


def run_name() -> str:
    """Two words, such as ``brisk-heron``; not unique, ids are."""
    return f"{random.choice(_QUALITIES.split())}-{random.choice(_THINGS.split())}"


def task_flow(task: str) -> str:
    """The flow whose runs are the background runs of a task."""
    return TASK_FLOW + task


def is_background(flow: str, deployment: str) -> bool:
    """Whether runs of a deployment are background runs of a task."""
    return flow.startswith(TASK_FLOW) and deployment == BACKGROUND
