"""Who may ask: users, roles, sessions, and the guard every request passes."""
