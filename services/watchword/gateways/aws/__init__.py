"""AWS End User Messaging SMS: JSON signed with SigV4, events through EventBridge."""
