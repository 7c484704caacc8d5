"""Gaps of the account → what fills them, erring to the side that cannot flatter."""
