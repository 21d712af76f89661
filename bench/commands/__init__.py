"""What each command does. A module imports no more than its command needs: planning is quick."""
