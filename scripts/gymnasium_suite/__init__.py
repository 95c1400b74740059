"""The parts of ``scripts/gymnasium_tests.py``, which runs Gymnasium's own tests with recorded environments.

::

    tables                the tests that are left out, or must fail with any wrapper, each with its reason
    recording_plugin      the pytest plugin that records the environments
    vector_environments   records vector environments for the plugin
    suite                 runs pytest with the plugin, and reads the outcomes
    recordings            checks the files that were recorded
"""
