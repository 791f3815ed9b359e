package storetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/retainwise/millrace/store/objects"
)

type s3Server struct {
	endpoint, root string
}

var s3 server[s3Server]

const (
	accessKey = "millrace"
	secretKey = "millrace-secret"
)

// RetryPause is short, so that a test which wants a server to fail does not wait for long.
const RetryPause = 50 * time.Millisecond

// S3 returns an empty bucket of an S3 server.
func S3(t testing.TB) objects.S3Config {
	t.Helper()
	srv := s3.get(t, startS3)
	bucket := uniqueName(t)
	if err := os.Mkdir(filepath.Join(srv.root, bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	return objects.S3Config{
		Bucket: bucket, Endpoint: srv.endpoint, AccessKey: accessKey, SecretKey: secretKey, RetryPause: RetryPause,
	}
}

// VersionedS3 returns an empty bucket that keeps versions.
func VersionedS3(t testing.TB) objects.S3Config {
	t.Helper()
	c := S3(t)
	_, err := clientOf(c).PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: &c.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// S3Dir returns the directory in which the S3 server keeps the objects of a bucket as files, whose times are the objects'.
func S3Dir(t testing.TB, bucket string) string {
	t.Helper()
	return filepath.Join(s3.get(t, startS3).root, bucket)
}

func startS3() (s3Server, error) {
	binary, err := tool{
		"versitygw", "github.com/versity/versitygw", "github.com/versity/versitygw/cmd/versitygw",
	}.build()
	if err != nil {
		return s3Server{}, err
	}
	dir, err := makeDir("s3")
	if err != nil {
		return s3Server{}, err
	}
	root, meta, versions := filepath.Join(dir, "root"), filepath.Join(dir, "meta"), filepath.Join(dir, "versions")
	for _, d := range []string{root, meta, versions} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return s3Server{}, err
		}
	}
	endpoint, err := startServer(dir, "/health", func(port string) (*exec.Cmd, error) {
		cmd := exec.Command(binary, "--quiet", "--health", "/health", "--port", "127.0.0.1:"+port,
			"posix", "--sidecar", meta, "--versioning-dir", versions, root)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+accessKey, "ROOT_SECRET_ACCESS_KEY="+secretKey)
		return cmd, nil
	})
	return s3Server{endpoint: endpoint, root: root}, err
}
