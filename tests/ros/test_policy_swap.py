"""Policies change places in a node in a process of its own; the peer is the camera, the arm and the motion node."""

import json
import re
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import interface
from magma_ros.ros.policy_swap import PREVIOUS
from magma_ros.srv import SwapPolicy
from magma_ros.stops import StopReason

SCRIPT = str(Path(__file__).with_name("swappable_policy_node.py"))
UP, ASIDE, TOO_LONG = (0.0, 0.0, 0.01), (0.01, 0.0, 0.0), (0.2, 0.0, 0.0)
LOAD_S = 0.6


def write(peer, name, translation, **more):
    """A checkpoint folder of the scripted loader."""
    folder = peer.folder / name
    folder.mkdir(exist_ok=True)
    action = [*translation, 0.0, 0.0, 0.0, 1.0]
    (folder / "script.json").write_text(json.dumps({"action": action, **more}))
    return folder


@pytest.fixture(scope="module")
def node(peer):
    """The node acts with `up` on an instruction; `peer.speed_m_s` is what the motion node would say of the arm."""
    child = peer.start(
        "policy_node",
        SCRIPT,
        checkpoint=write(peer, "up", UP),
        control_rate_hz=20.0,
        swap_trial_steps=10,
        swap_max_bad_share=0.3,
    )
    peer.commands, peer.statuses = peer.listen(interface.POLICY_ACTION), peer.listen(interface.STATUS)
    peer.diagnostics = peer.listen(interface.DIAGNOSTICS)
    peer.speed_m_s, motion = 0.0, peer.publisher(interface.MOTION_STATUS)
    peer.node.create_timer(
        0.05, lambda: motion.publish(MotionStatus(state=MotionStatus.HOLDING, speed_m_s=peer.speed_m_s))
    )
    peer.film()
    peer.wait(lambda: peer.statuses, timeout_s=60, what="a status")
    return child


def request(peer, name):
    """The future answer to a swap that nobody waits for."""
    key = (SwapPolicy, interface.SWAP_POLICY.name)
    if key not in peer.clients:
        peer.clients[key] = peer.node.create_client(*key)
    peer.find(peer.clients[key], "swap_policy")
    return peer.clients[key].call_async(SwapPolicy.Request(checkpoint=str(name)))


def swap(peer, name):
    return peer.future(request(peer, name))


def direction(command):
    return (command.translation_m.x, command.translation_m.y, command.translation_m.z)


def act(peer, translation):
    """Wait until actions of `translation` come, if need be with an instruction."""
    peer.make_active()
    if peer.statuses[-1].state != PolicyStatus.ACTING:
        assert peer.set_instruction("lift").accepted
    before = len(peer.commands)
    peer.wait(lambda: len(peer.commands) >= before + 3, what="actions")
    assert {translation} == {direction(command) for command in peer.commands[-2:]}


def log(node):
    return node.log.read_text()


def swap_for_good(peer, node, folder, translation):
    """Swap, and act until the trial is over."""
    before = log(node).count("passed its trial")
    assert swap(peer, folder).accepted
    act(peer, translation)
    peer.wait(lambda: log(node).count("passed its trial") > before, what="the end of the trial")


def test_a_node_without_a_policy_refuses(peer, node):
    """Before it is configured there is nothing to swap."""
    answer = swap(peer, "anywhere")
    assert not answer.accepted
    assert "configure" in answer.message


def test_the_new_policy_takes_over_when_the_arm_rests(peer, node):
    """Loading stops neither the old policy nor the status; nothing is sent from the hold to the change of places."""
    act(peer, UP)
    peer.speed_m_s = 0.1
    peer.spin(0.2)
    num_commands, num_statuses = len(peer.commands), len(peer.statuses)
    answer = request(peer, write(peer, "aside", ASIDE, load_s=LOAD_S))
    peer.wait(lambda: peer.statuses[-1].stop_reason == StopReason.SWAPPING.value, what="the hold")
    assert len(peer.commands) - num_commands >= LOAD_S * 20 / 2
    assert len(peer.statuses) - num_statuses >= LOAD_S * 50 / 2
    peer.spin(0.2)
    num_commands = len(peer.commands)
    peer.spin(0.6)
    assert num_commands == len(peer.commands)
    assert not answer.done()
    assert ("up", PolicyStatus.STOPPED) == (peer.statuses[-1].checkpoint, peer.statuses[-1].state)
    peer.speed_m_s = 0.0
    told = peer.future(answer)
    assert (True, "aside acts") == (told.accepted, told.message)
    peer.wait(lambda: len(peer.commands) >= num_commands + 3, what="actions of the new policy")
    assert {ASIDE} == {direction(command) for command in peer.commands[num_commands:]}
    peer.wait(lambda: peer.statuses[-1].state == PolicyStatus.ACTING, what="the status")
    assert "aside" == peer.statuses[-1].checkpoint


def test_a_policy_on_trial_is_not_swapped_for_a_third_one(peer, node):
    """While the old policy may still be needed it is not unloaded; once the trial is over it is."""
    assert swap(peer, PREVIOUS).accepted
    act(peer, UP)
    assert peer.set_instruction("").accepted
    assert swap(peer, write(peer, "aside", ASIDE)).accepted
    refused = swap(peer, write(peer, "third", UP))
    assert not refused.accepted
    assert "on trial" in refused.message
    act(peer, ASIDE)
    peer.wait(lambda: "aside passed its trial" in log(node), what="the end of the trial")
    swap_for_good(peer, node, write(peer, "third", UP), UP)


def test_previous_is_there_at_once_and_as_often_as_asked(peer, node):
    """The policy that went stays loaded: two swaps back and forth load nothing."""
    num_loaded = log(node).count(": loading")
    for translation, name in ((ASIDE, "aside"), (UP, "third")):
        assert swap(peer, PREVIOUS).message == f"{name} acts"
        act(peer, translation)
    assert num_loaded == log(node).count(": loading")


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("nothing", None, "expected a checkpoint folder"),
        ("other_robot", {"contract": {"embodiment": "other_arm"}}, "embodiment: 'bridge_widowx' here, 'other_arm'"),
        ("other_frame", {"contract": {"frame": "tool0"}}, "frame"),
        ("", None, "previous"),
    ],
)
def test_what_may_not_act_is_refused_and_the_old_policy_acts_on(peer, node, name, more, said):
    """No checkpoint, one of another motion, and none at all are named; nothing has changed."""
    act(peer, UP)
    folder = "" if not name else write(peer, name, ASIDE, **more) if more else peer.folder / name
    answer = swap(peer, folder)
    assert not answer.accepted
    assert said in answer.message
    act(peer, UP)


def test_a_second_swap_waits_for_nobody(peer, node):
    """While one policy loads another request is refused at once, and the first one goes on."""
    before = log(node).count("passed its trial")
    first = request(peer, write(peer, "aside", ASIDE, load_s=LOAD_S))
    second = swap(peer, write(peer, "up", UP))
    assert not first.done()
    assert not second.accepted
    assert "under way" in second.message
    assert peer.future(first).accepted
    act(peer, ASIDE)
    peer.wait(lambda: log(node).count("passed its trial") > before, what="the end of the trial")


@pytest.mark.parametrize(
    ("name", "translation", "more", "what"),
    [
        ("too_long", TOO_LONG, {}, "[4-9] refused: out_of_contract [4-9],"),
        ("unsure", ASIDE, {"entropy_nats": 4.2}, "[4-9] unsure"),
    ],
)
def test_a_policy_that_does_badly_is_sent_back(peer, node, name, translation, more, what):
    """With four bad steps of ten the old policy takes over by itself; status, log and diagnostics say why."""
    act(peer, ASIDE)
    peer.statuses.clear()
    peer.diagnostics.clear()
    assert swap(peer, write(peer, name, translation, **more)).accepted
    peer.wait(lambda: any("was sent back" in status.detail for status in peer.statuses), what="the way back")
    told = next(status for status in peer.statuses if "was sent back" in status.detail)
    assert (PolicyStatus.STOPPED, StopReason.SWAPPING.value, name) == (told.state, told.stop_reason, told.checkpoint)
    assert re.search(what, told.detail), told.detail
    peer.wait(lambda: peer.statuses[-1].checkpoint == "aside", what="the old policy")
    act(peer, ASIDE)
    assert f"aside acts again: {name} was sent back" in log(node)
    warned = ("/policy_node: node", DiagnosticStatus.WARN)
    peer.wait(
        lambda: any(
            (one.name, one.level) == warned and "was sent back" in one.message
            for message in peer.diagnostics
            for one in message.status
        ),
        what="the warning",
    )


def test_a_swap_survives_the_end_of_its_node(peer, node):
    """Cleaning up while a policy loads answers the caller, forgets that policy, and the node can be configured anew."""
    num_loaded = log(node).count(": loading")
    answer = request(peer, write(peer, "up", UP, load_s=LOAD_S))
    peer.wait(lambda: log(node).count(": loading") > num_loaded, what="the loading")
    assert peer.transition("deactivate")
    assert peer.transition("cleanup")
    told = peer.future(answer)
    assert not told.accepted
    assert "cleaned up" in told.message
    peer.make_active()
    peer.wait(lambda: peer.statuses[-1].checkpoint == "up", what="the configured policy")
    assert "not loaded any more" in swap(peer, PREVIOUS).message


def test_sigint_while_a_policy_loads_ends_the_process_cleanly(peer, node):
    """The process ends with status 0, without a traceback, and the waiting caller does not keep it."""
    num_loaded = log(node).count(": loading")
    request(peer, write(peer, "aside", ASIDE, load_s=LOAD_S))
    peer.wait(lambda: log(node).count(": loading") > num_loaded, what="the loading")
    assert node.stop() == 0, node.last_lines()
    assert "Traceback" not in log(node)
