"""What stands in InfluxDB → Grafana: one dashboard, its data source and its alert rules, as provisioning files."""
