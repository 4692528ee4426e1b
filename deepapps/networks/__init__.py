"""Networks: functions from settings to a `keras.Model`. They know nothing of data, loss or strategy."""
