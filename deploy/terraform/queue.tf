# The queue is a doorbell: a message says where to look and is deleted when that has been recorded, or when nothing can be
# made of it. One whose handling fails five times goes to the dead-letter queue; StartMessageMoveTask brings it back.
resource "aws_sqs_queue" "doorbell" {
  name                       = var.name
  visibility_timeout_seconds = 30
  receive_wait_time_seconds  = 20
  message_retention_seconds  = 345600
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.doorbell.arn]
  })
}

data "aws_iam_policy_document" "bucket_rings" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.doorbell.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.files.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "doorbell" {
  queue_url = aws_sqs_queue.doorbell.id
  policy    = data.aws_iam_policy_document.bucket_rings.json
}
