"""Microsoft's Magma vision-language-action model on a ROS 2 arm: serve, simulate, fine-tune."""

__path__ = __import__("pkgutil").extend_path(__path__, __name__)
