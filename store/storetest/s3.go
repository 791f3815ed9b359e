package storetest

import (
	"fmt"
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
	endpoint string
	root     string // of the buckets' files; empty: it keeps them its own way
}

var s3 server[s3Server]

// s3ServerVariable names the S3 server of the tests: versitygw (the default), moto or minio.
const s3ServerVariable = "MILLRACE_S3_SERVER"

const (
	accessKey = "millrace"
	secretKey = "millrace-secret"
)

// RetryPause is short, so that a test which wants a server to fail does not wait for long.
const RetryPause = 50 * time.Millisecond

// S3 returns an empty bucket of an S3 server: versitygw, or the one that MILLRACE_S3_SERVER names (moto, minio).
func S3(t testing.TB) objects.S3Config {
	t.Helper()
	srv := s3.get(t, startS3)
	c := objects.S3Config{
		Bucket: uniqueName(t), Endpoint: srv.endpoint, AccessKey: accessKey, SecretKey: secretKey, RetryPause: RetryPause,
	}
	var err error
	if srv.root != "" {
		err = os.Mkdir(filepath.Join(srv.root, c.Bucket), 0o755)
	} else {
		_, err = clientOf(c).CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &c.Bucket})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
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

// S3Dir returns the directory in which versitygw keeps the objects of a bucket as files, whose times are the objects'. With
// another server the test is skipped.
func S3Dir(t testing.TB, bucket string) string {
	t.Helper()
	root := s3.get(t, startS3).root
	if root == "" {
		t.Skip("this S3 server keeps no files whose times can be set")
	}
	return filepath.Join(root, bucket)
}

// SkipOnS3 skips a test on a server that lacks what it needs.
func SkipOnS3(t testing.TB, server, why string) {
	t.Helper()
	if os.Getenv(s3ServerVariable) == server {
		t.Skip(server + " " + why)
	}
}

func startS3() (s3Server, error) {
	switch name := os.Getenv(s3ServerVariable); name {
	case "moto":
		return startMoto()
	case "minio":
		return startMinio()
	case "", "versitygw":
		return startVersitygw()
	default:
		return s3Server{}, fmt.Errorf("%s: unknown server %q", s3ServerVariable, name)
	}
}

func startVersitygw() (s3Server, error) {
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
