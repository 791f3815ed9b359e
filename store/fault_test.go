package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

var faultNames = map[string]store.Fault{
	"none": store.FaultNone, "outage": store.FaultOutage, "refused": store.FaultRefused, "ours": store.FaultInternal,
}

// TestFaultOfEverySQLSTATE goes through all states that PostgreSQL 15 knows, and two that it does not.
func TestFaultOfEverySQLSTATE(t *testing.T) {
	file, err := os.Open("testdata/sqlstates.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	states := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		fields := strings.Fields(lines.Text())
		want, known := faultNames[fields[1]]
		if len(fields) != 3 || !known {
			t.Fatalf("%q", lines.Text())
		}
		states++
		err := fmt.Errorf("commit part: %w", &pgconn.PgError{Code: fields[0]})
		if got := store.FaultOf(err); got != want {
			t.Errorf("%s %s: %d, want %d", fields[0], fields[2], got, want)
		}
		if got := store.FaultOf(err); got == store.FaultRefused || got == store.FaultNone {
			t.Errorf("%s is not classified", fields[0])
		}
	}
	if states < 250 {
		t.Errorf("%d states", states)
	}
}

// answered is what the SDK makes of an answer of a service; status 0: there was none.
func answered(service string, status int, code string) error {
	var err error = &smithy.GenericAPIError{Code: code, Message: "no"}
	if status > 0 {
		err = &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err,
		}}
	}
	return &smithy.OperationError{ServiceID: service, OperationName: "GetObject", Err: err}
}

func TestFaultOfServices(t *testing.T) {
	for _, c := range []struct {
		service string
		status  int
		code    string
		want    store.Fault
	}{
		{"S3", 400, "ExpiredToken", store.FaultRefused},
		{"S3", 400, "InvalidToken", store.FaultRefused},
		{"S3", 400, "KMS.DisabledException", store.FaultRefused},
		{"S3", 400, "SomethingNew", store.FaultRefused},
		{"S3", 400, "RequestTimeout", store.FaultOutage},
		{"S3", 400, "BadDigest", store.FaultOutage},
		{"S3", 401, "Unauthorized", store.FaultRefused},
		{"S3", 403, "AccessDenied", store.FaultRefused},
		{"S3", 403, "InvalidAccessKeyId", store.FaultRefused},
		{"S3", 403, "InvalidObjectState", store.FaultRefused},
		{"S3", 403, "RequestTimeTooSkewed", store.FaultRefused},
		{"S3", 403, "SignatureDoesNotMatch", store.FaultRefused},
		{"S3", 404, "NoSuchBucket", store.FaultRefused},
		{"S3", 409, "OperationAborted", store.FaultOutage},
		{"S3", 429, "TooManyRequests", store.FaultRefused},
		{"S3", 429, "SlowDown", store.FaultOutage},
		{"S3", 500, "InternalError", store.FaultOutage},
		{"S3", 501, "NotImplemented", store.FaultRefused},
		{"S3", 502, "", store.FaultOutage},
		{"S3", 503, "SlowDown", store.FaultOutage},
		{"S3", 507, "XMinioStorageFull", store.FaultOutage},
		{"S3", 599, "Invented", store.FaultOutage},
		{"S3", 0, "", store.FaultOutage},
		{"SQS", 400, "AWS.SimpleQueueService.NonExistentQueue", store.FaultOutage},
		{"SQS", 400, "ExpiredToken", store.FaultOutage},
		{"SQS", 400, "KmsAccessDenied", store.FaultOutage},
		{"SQS", 400, "SomethingNew", store.FaultOutage},
		{"SQS", 400, "AWS.SimpleQueueService.BatchRequestTooLong", store.FaultInternal},
		{"SQS", 400, "InvalidMessageContents", store.FaultInternal},
		{"SQS", 403, "AccessDenied", store.FaultOutage},
		{"SQS", 403, "RequestThrottled", store.FaultOutage},
		{"SQS", 500, "InternalFailure", store.FaultOutage},
		{"SQS", 0, "", store.FaultOutage},
	} {
		err := fmt.Errorf("call: %w", answered(c.service, c.status, c.code))
		if got := store.FaultOf(err); got != c.want {
			t.Errorf("%s %d %s: %d, want %d", c.service, c.status, c.code, got, c.want)
		}
	}
}

func TestFaultOfFiles(t *testing.T) {
	for number, want := range map[syscall.Errno]store.Fault{
		syscall.ENOSPC: store.FaultOutage, syscall.EDQUOT: store.FaultOutage, syscall.EROFS: store.FaultOutage,
		syscall.EMFILE: store.FaultOutage, syscall.ENFILE: store.FaultOutage, syscall.ENOMEM: store.FaultOutage,
		syscall.ESTALE: store.FaultOutage, syscall.ETIMEDOUT: store.FaultOutage, syscall.EAGAIN: store.FaultOutage,
		syscall.EIO: store.FaultRefused, syscall.EACCES: store.FaultRefused, syscall.EPERM: store.FaultRefused,
		syscall.ELOOP: store.FaultRefused, syscall.EISDIR: store.FaultRefused, syscall.ENOENT: store.FaultRefused,
		syscall.EFBIG: store.FaultRefused, syscall.EINVAL: store.FaultInternal, syscall.ENAMETOOLONG: store.FaultInternal,
	} {
		err := fmt.Errorf("put object: %w", &fs.PathError{Op: "open", Path: "uploads", Err: number})
		if got := store.FaultOf(err); got != want {
			t.Errorf("%v: %d, want %d", number, got, want)
		}
	}
}

// What callers branch on stays theirs, whatever it wraps.
func TestFaultOf_CallerErrors(t *testing.T) {
	for _, known := range []error{store.ErrNotFound, objects.ErrChanged, objects.ErrRange, store.ErrLeaseLost} {
		err := fmt.Errorf("get object: %w: %w", known, answered("S3", 404, "NoSuchKey"))
		if got := store.FaultOf(err); got != store.FaultNone {
			t.Errorf("%v: %d", err, got)
		}
	}
	damaged := fmt.Errorf("part 3: %w", objects.ErrDamaged)
	if got := store.FaultOf(damaged); got != store.FaultDamaged || store.Unavailable(damaged) {
		t.Errorf("damaged: %d", got)
	}
	cancelled := &smithy.OperationError{ServiceID: "S3", Err: &smithy.CanceledError{Err: context.Canceled}}
	if got := store.FaultOf(cancelled); got != store.FaultNone {
		t.Errorf("cancelled: %d", got)
	}
	if got := store.FaultOf(errors.New("anything")); got != store.FaultNone {
		t.Errorf("anything: %d", got)
	}
}

func TestRefusal(t *testing.T) {
	for want, err := range map[string]error{
		"AccessDenied":       answered("S3", 403, "AccessDenied"),
		"DisabledException":  answered("S3", 400, "KMS.DisabledException"),
		"input/output error": &fs.PathError{Op: "read", Path: "uploads/secret", Err: syscall.EIO},
		"":                   answered("S3", 403, "<script>"),
	} {
		if got := store.Refusal(fmt.Errorf("get object: %w", err)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, err := range []error{errors.New("x"), answered("S3", 403, strings.Repeat("x", 65))} {
		if got := store.Refusal(err); got != "" {
			t.Errorf("%q", got)
		}
	}
}
