"""What all tests share. Its place also puts this folder on the import path: `from sim.scenario import Scenario`."""
