package awsclient_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// writeKeys writes a shared credentials file as a secrets manager does: the whole file at once.
func writeKeys(t *testing.T, file, access, secret string) {
	t.Helper()
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", access, secret)
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// fromFile takes the keys out of a configuration and leads AWS's usual places to a file.
func fromFile(t *testing.T, config objects.S3Config) (string, objects.S3Config) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	for name, value := range map[string]string{
		"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_CONFIG_FILE": file + ".config", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	config.AccessKey, config.SecretKey = "", ""
	return file, config
}

// Keys that were renewed on disk are used after the old ones were refused, and by all users of the store.
func TestCredentialsRenewedOnDisk(t *testing.T) {
	config := storetest.S3(t)
	access, secret := config.AccessKey, config.SecretKey
	file, config := fromFile(t, config)
	writeKeys(t, file, access, secret)
	o, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	storetest.PutObject(t, o, "a/b", []byte("before"))
	writeKeys(t, file, access, "another secret") // not read: the old ones are good
	storetest.PutObject(t, o, "a/b", []byte("still"))

	old, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.PingObjects(t.Context(), old); err == nil || store.FaultOf(err) != store.FaultRefused {
		t.Fatalf("a wrong secret: %v", err)
	}
	writeKeys(t, file, access, secret)
	var failed error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if failed = store.PingObjects(t.Context(), old); failed == nil {
			break
		}
	}
	if failed != nil {
		t.Fatalf("with the renewed keys: %v", failed)
	}
	storetest.PutObject(t, old, "a/b", []byte("after"))
}

// A store that refuses one object for good does not make every call read the files.
func TestCredentialsAreReadSeldom(t *testing.T) {
	config := storetest.S3(t)
	file, elsewhere := fromFile(t, config)
	writeKeys(t, file, config.AccessKey, config.SecretKey)
	faults, elsewhere := storetest.NewFaults(t, elsewhere)
	var signers atomic.Int32 // keys seen that are not the first
	faults.Answer(func(r *http.Request) (int, string) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+config.AccessKey+"/") {
			signers.Add(1)
		}
		return http.StatusForbidden, "AccessDenied"
	})
	o, err := objects.OpenS3(t.Context(), elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	writeKeys(t, file, "second", "secret")
	begin := time.Now()
	for range 20 {
		if _, err := o.Head(t.Context(), "a/b"); err == nil {
			t.Fatal("found")
		}
	}
	if took := time.Since(begin); took < 2*time.Second && signers.Load() > 0 {
		t.Errorf("read again after %v", took)
	}
}

// AWS_REQUEST_CHECKSUM_CALCULATION holds for the parts of large objects as well.
func TestChecksumsOnlyWhenRequired(t *testing.T) {
	for _, c := range []struct {
		setting string
		wanted  bool
	}{{"when_required", false}, {"when_supported", true}} {
		t.Run(c.setting, func(t *testing.T) {
			t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", c.setting)
			faults, config := storetest.NewFaults(t, storetest.S3(t))
			var with, parts atomic.Int32
			faults.Answer(func(r *http.Request) (int, string) {
				if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") {
					parts.Add(1)
					if hasChecksum(r.Header) {
						with.Add(1)
					}
				}
				return 0, ""
			})
			o, err := objects.OpenS3(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			content := storetest.Pattern(20 << 20)
			storetest.PutObject(t, o, "a/b", content)
			if parts.Load() != 3 || (with.Load() > 0) != c.wanted {
				t.Errorf("%d of %d parts have a checksum", with.Load(), parts.Load())
			}
			if got := storetest.GetObject(t, o, "a/b", objects.Range{}, ""); !bytes.Equal(got, content) {
				t.Error("other bytes")
			}
		})
	}
}

func hasChecksum(h http.Header) bool {
	if h.Get("X-Amz-Trailer") != "" {
		return true
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			return true
		}
	}
	return false
}
