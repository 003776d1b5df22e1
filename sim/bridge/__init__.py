"""A WidowX 250S on a table in MuJoCo, in the manner of BridgeData V2 and SimplerEnv.

MuJoCo reads the OpenGL backend when it is imported, so that importing this package names a headless one first.
"""

from magma_ros.sim.bridge.gl import prefer_headless_gl

prefer_headless_gl()
