"""The AWS infrastructure of the Sales Performance Tracker, as CDK stacks."""
