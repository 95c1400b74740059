"""Pictures: videos and contact sheets of episodes, and plots of statistics."""
