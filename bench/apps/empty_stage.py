"""An empty CDK app: what any synthesis costs."""

import aws_cdk as cdk

if __name__ == "__main__":
    app = cdk.App()
    cdk.Stack(app, "Empty")
    app.synth()
