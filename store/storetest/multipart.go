package storetest

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/retainwise/millrace/store/objects"
)

func clientOf(c objects.S3Config) *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint: &c.Endpoint, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, ""),
	})
}

// OpenMultipart begins a multipart upload, as another program in the same bucket would.
func OpenMultipart(t testing.TB, c objects.S3Config, key string) {
	t.Helper()
	_, err := clientOf(c).CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: &c.Bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
}

// Multiparts lists the keys of the multipart uploads that are open in a bucket, sorted.
func Multiparts(t testing.TB, c objects.S3Config) (keys []string) {
	t.Helper()
	out, err := clientOf(c).ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &c.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		keys = append(keys, aws.ToString(u.Key))
	}
	slices.Sort(keys)
	return keys
}
