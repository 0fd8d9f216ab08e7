"""Tests of the declarative Jenkinsfile language."""
