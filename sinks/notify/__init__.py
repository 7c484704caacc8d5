"""Messages of the outbox → people and programs that want to know: Apprise, Alertmanager, MQTT."""
