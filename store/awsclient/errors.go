package awsclient

import (
	"errors"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Status is the HTTP status that a server refused a request with; 0: it did not.
func Status(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// Code is the code that S3 or SQS gave for an error; empty: it gave none.
func Code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	code := api.ErrorCode()
	return code[strings.LastIndexByte(code, '.')+1:] // AWS.SimpleQueueService.NonExistentQueue
}
