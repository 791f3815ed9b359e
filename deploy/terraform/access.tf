# What the API and the workers may do, for the role that their service account takes on.
data "aws_iam_policy_document" "millrace" {
  statement {
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"]
    resources = [aws_s3_bucket.files.arn]
  }
  statement {
    actions = [
      "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
      "s3:ListMultipartUploadParts",
    ]
    resources = ["${aws_s3_bucket.files.arn}/*"]
  }
  statement {
    actions = [
      "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
    ]
    resources = [aws_sqs_queue.doorbell.arn]
  }
}

resource "aws_iam_policy" "millrace" {
  name   = var.name
  policy = data.aws_iam_policy_document.millrace.json
}
