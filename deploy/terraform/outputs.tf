output "environment" {
  description = "The environment of millrace, but for DATABASE_URL, whose password is in the secret below."
  value = {
    S3_BUCKET       = aws_s3_bucket.files.id
    SQS_QUEUE_URL   = aws_sqs_queue.doorbell.id
    AWS_REGION      = aws_s3_bucket.files.region
    MILLRACE_RETAIN = var.retention_days > 0 ? "${var.retention_days}d" : "off"
  }
}

output "database_address" {
  description = "Host and port of the database."
  value       = aws_db_instance.database.endpoint
}

output "database_secret_arn" {
  description = "Secret with the name and password of the tables' owner."
  value       = aws_db_instance.database.master_user_secret[0].secret_arn
}

output "policy_arn" {
  description = "Policy for the role of the service account."
  value       = aws_iam_policy.millrace.arn
}
