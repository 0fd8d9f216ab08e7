"""The builder kind `jenkins`: jobs, triggers, observation and logs of a Jenkins, behind `builder/remote.py`."""

from .builder import JenkinsBuilder
from .config import JenkinsConfig
from .job_xml import facts_of, same

__all__ = ["JenkinsBuilder", "JenkinsConfig", "facts_of", "same"]
