"""Builders: the embedded one runs a Jenkinsfile on this host; others live on their own servers."""
