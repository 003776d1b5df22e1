"""A WidowX 250S on a table in MuJoCo, in the manner of BridgeData V2 and SimplerEnv.

MuJoCo settles on an OpenGL backend when it is imported: importing this package names a headless one.
"""

from magma_ros.sim.bridge.gl import prefer_headless_gl

prefer_headless_gl()
