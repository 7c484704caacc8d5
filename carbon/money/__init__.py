"""Energy and tariffs → what it costs."""
