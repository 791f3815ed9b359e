package objects

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Checksums says when requests carry checksums, those of multipart uploads included, and when those of answers are
// compared. Empty leaves it to AWS's own variables, AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION.
type Checksums string

const (
	// ChecksumsWhenSupported is wherever the API knows them: the default of AWS's variables.
	ChecksumsWhenSupported Checksums = "when_supported"
	// ChecksumsWhenRequired is only where the API requires them. Some servers understand no others.
	ChecksumsWhenRequired Checksums = "when_required"
)

func (c Checksums) apply(o *s3.Options) {
	switch c {
	case ChecksumsWhenSupported:
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
	case ChecksumsWhenRequired:
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
}
