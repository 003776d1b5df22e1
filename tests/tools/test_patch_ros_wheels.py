from patch_ros_wheels import patch


def test_header_folders_of_the_build_container_become_ours() -> None:
    """Both header folders are replaced and everything else in the file stays."""
    python = "/opt/python/cp311-cp311/include/python3.11"
    numpy = "/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"
    text = f'INCLUDES "{python};{numpy};/x"'
    assert 'INCLUDES "/py;/np;/x"' == patch(text, python_include="/py", numpy_include="/np")
