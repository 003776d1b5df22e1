# magma_ros on ROS 2 Jazzy (Ubuntu 24.04, Python 3.12). Two stages: `machine`, where one works on the checkout (.devcontainer),
# and the last one, where it is installed. Written without a Docker daemon at hand and never built: docs/machines.md.
#
#   docker build -t magma_ros .                                               torch as the default index has it, for CUDA
#   docker build --build-arg PIP_EXTRA_INDEX_URL=<index of CPU builds> ...     without CUDA
#   docker build --build-arg LAYERS="core ik" ...                              a robot's computer, without torch
#   docker run --rm --shm-size=1g magma_ros                                    the demo; with a GPU: --gpus all
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base AS machine

# What tools/system_packages.py asks of a machine, and what rosdep reads from package.xml.
COPY package.xml /tmp/magma_ros/package.xml
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        g++ gcc git libc6-dev libegl-mesa0 libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libosmesa6 make python3-dev python3-venv \
    && rosdep update --rosdistro "${ROS_DISTRO}" \
    && DEBIAN_FRONTEND=noninteractive rosdep install -y --from-paths /tmp/magma_ros --ignore-src --rosdistro "${ROS_DISTRO}" \
    && rm -rf /var/lib/apt/lists/* /tmp/magma_ros
USER ubuntu

FROM machine AS installed
# ik is Pinocchio, for arms that take joint trajectories (wx250s, fr3).
ARG LAYERS="core model sim ik"
ARG PIP_EXTRA_INDEX_URL=""
USER root
RUN install -d -o ubuntu /ws
USER ubuntu
WORKDIR /ws

# The packages first: they change less often than the code. --system-site-packages, because rclpy is apt's;
# COLCON_IGNORE, because colcon would look for ROS packages among them.
COPY --chown=ubuntu requirements /ws/requirements
RUN python3 -m venv --system-site-packages venv && touch venv/COLCON_IGNORE \
    && for layer in ${LAYERS}; do \
        PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL}" venv/bin/pip install --no-cache-dir -r "requirements/${layer}.txt" || exit 1; \
    done
COPY --chown=ubuntu . /ws/src/magma_ros
RUN . "/opt/ros/${ROS_DISTRO}/setup.sh" && . venv/bin/activate && colcon build --packages-select magma_ros

ENV PATH=/ws/venv/bin:$PATH
# Nobody outside of the container is spoken to, unless you say so (--network host and another range).
ENV ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
ENV FASTRTPS_DEFAULT_PROFILES_FILE=/ws/install/magma_ros/share/magma_ros/config/fastdds.xml
ENTRYPOINT ["/bin/bash", "-c", "source /ws/install/setup.bash && exec \"$@\"", "magma_ros"]
CMD ["ros2", "launch", "magma_ros", "demo.launch.py"]
