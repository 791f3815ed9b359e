variable "name" {
  description = "Prefix of everything that is made."
  type        = string
  default     = "millrace"
}

variable "bucket" {
  description = "Name of the bucket; unique in all of AWS."
  type        = string
}

variable "retention_days" {
  description = "Days after the end of a prediction when its files and results are deleted (MILLRACE_RETAIN); 0: never."
  type        = number
  default     = 90
}

variable "subnet_ids" {
  description = "Private subnets of the database, in two zones at least."
  type        = list(string)
}

variable "database_security_group_ids" {
  description = "Security groups that let the API and the workers in on 5432."
  type        = list(string)
}

variable "database_class" {
  description = "Size of the database instance."
  type        = string
  default     = "db.m7g.large"
}

variable "database_gigabytes" {
  description = "Disk of the database at the start; it grows to four times as much."
  type        = number
  default     = 100
}
