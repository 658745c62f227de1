"""What is sent to the LAN and heard from it beside heartbeats: announcements, questions, the witness."""
