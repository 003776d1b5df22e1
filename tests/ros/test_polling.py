"""What waits to be read does not wake the executor."""

import time

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from magma_ros.ros.endpoints import STATE, Topic
from magma_ros.ros.polling import DEPTH, PolledSubscription

WORDS = Topic("words", String, STATE, STATE, "words that a test sends")


def read_until(subscription, heard, count):
    end = time.monotonic() + 10
    while len(heard) < count and time.monotonic() < end:
        subscription.read()
        time.sleep(0.01)
    return heard


def test_messages_wait_in_their_order_and_wake_nobody(peer):
    """Ten messages are handed over in their order by `read`, while the executor of their node finds nothing to do."""
    heard, node = [], Node("reader", context=peer.context)
    polled = PolledSubscription(node, WORDS, lambda message: heard.append(message.data))
    executor = SingleThreadedExecutor(context=peer.context)
    executor.add_node(node)
    sender = peer.publisher(WORDS)
    peer.wait(sender.get_subscription_count, what="the reader")
    for number in range(10):
        sender.publish(String(data=str(number)))
    for _ in range(5):
        executor.spin_once(timeout_sec=0.02)
    assert heard == []
    assert [str(number) for number in range(10)] == read_until(polled, heard, 10)
    executor.shutdown()
    node.destroy_node()


def test_of_too_many_messages_the_newest_wait(peer):
    """A reader that comes late gets the newest `DEPTH` messages, and the rest of the queue is never longer."""
    heard, node = [], Node("late_reader", context=peer.context)
    polled = PolledSubscription(node, WORDS, lambda message: heard.append(int(message.data)))
    sender = peer.publisher(WORDS)
    peer.wait(lambda: sender.get_subscription_count() >= 1, what="the reader")
    for number in range(3 * DEPTH):
        sender.publish(String(data=str(number)))
    end = time.monotonic() + 10
    while 3 * DEPTH - 1 not in heard and time.monotonic() < end:
        time.sleep(0.2)
        polled.read()
    assert 3 * DEPTH - 1 == heard[-1]
    assert sorted(heard) == heard
    node.destroy_node()
