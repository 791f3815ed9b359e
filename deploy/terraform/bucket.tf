resource "aws_s3_bucket" "files" {
  bucket = var.bucket
}

resource "aws_s3_bucket_public_access_block" "files" {
  bucket                  = aws_s3_bucket.files.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "files" {
  bucket = aws_s3_bucket.files.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "files" {
  bucket = aws_s3_bucket.files.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
    bucket_key_enabled = true
  }
}

# A dropped file is pinned by its version: millrace records which one it is, and names it in every read (which takes
# s3:GetObjectVersion), so that what is scored cannot change. A file that is overwritten is scored as it was announced if a
# worker reads it before the rule "replaced-and-deleted" below removes the old version.
resource "aws_s3_bucket_versioning" "files" {
  bucket = aws_s3_bucket.files.id
  versioning_configuration {
    status = "Enabled"
  }
}

# Millrace deletes what is older than MILLRACE_RETAIN, which counts from the end of a prediction; see the output
# "environment". The bucket's own clock runs from the upload on and knows nothing of predictions, so its rule comes a week
# later and takes only what was left behind. It names our folders: the installation's mark beside them must stay, and so
# must models/, which predictions need however old the models are.
locals {
  retention_slack_days = 7
  retained_prefixes    = ["uploads/", "results/", "direct/", "inbox/"]
}

resource "aws_s3_bucket_lifecycle_configuration" "files" {
  bucket     = aws_s3_bucket.files.id
  depends_on = [aws_s3_bucket_versioning.files]

  rule {
    id     = "interrupted-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  rule {
    id     = "replaced-and-deleted"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 7
    }
  }

  dynamic "rule" {
    for_each = var.retention_days > 0 ? local.retained_prefixes : []
    content {
      id     = "retention-${trimsuffix(rule.value, "/")}"
      status = "Enabled"
      filter {
        prefix = rule.value
      }
      expiration {
        days = var.retention_days + local.retention_slack_days
      }
    }
  }
}

data "aws_iam_policy_document" "encrypted_transport" {
  statement {
    sid       = "EncryptedTransportOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.files.arn, "${aws_s3_bucket.files.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "files" {
  bucket = aws_s3_bucket.files.id
  policy = data.aws_iam_policy_document.encrypted_transport.json
}

resource "aws_s3_bucket_notification" "inbox" {
  bucket = aws_s3_bucket.files.id
  queue {
    queue_arn     = aws_sqs_queue.doorbell.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "inbox/"
  }
  depends_on = [aws_sqs_queue_policy.doorbell]
}
