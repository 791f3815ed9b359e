package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/retainwise/millrace/store/awsclient"
	"github.com/retainwise/millrace/store/circuit"
)

// S3Config configures [OpenS3]. Credentials and region come from AWS's usual places unless given.
type S3Config struct {
	Bucket string
	// Prefix is what the keys of everything in the bucket begin with; empty: nothing. A slash is added at its end.
	Prefix               string
	Endpoint             string // empty: AWS. Another server is addressed by path.
	Region               string
	AccessKey, SecretKey string // empty: AWS's usual places
	Checksums            Checksums
	UploadsMax           int                  // puts at the same time, each holds up to 24 MiB; default 8
	ReadTimeout          time.Duration        // longest silence of a body; default 30 s
	RetryPause           time.Duration        // before the second attempt at a call, twice as long before the third; default 1 s
	Log                  *slog.Logger         // of retries; default: nothing is logged
	Observe              func(awsclient.Call) // called for every call, from many goroutines; nil disables it
	Circuits             *circuit.Group       // show the bucket's breaker; nil: it is not shown
}

type bucket struct {
	client  *s3.Client
	presign *s3.PresignClient
	name    string
	prefix  string // of all keys in the bucket; ends with a slash unless it is empty
	timeout time.Duration
	slots   chan struct{} // one per put at the same time
	upload  uploadFunc
}

// OpenS3 opens a bucket as object store. It sends no request yet.
func OpenS3(ctx context.Context, c S3Config) (Store, error) {
	config, err := awsclient.Load(ctx, c.Circuits.NewBreaker(circuit.Objects), awsclient.NewRetryer(c.RetryPause, c.Log),
		awsclient.Access{Endpoint: c.Endpoint, Region: c.Region, AccessKey: c.AccessKey, SecretKey: c.SecretKey})
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	prefix, err := keyPrefix(c.Prefix)
	if err != nil {
		return nil, fmt.Errorf("open bucket: prefix: %w", err)
	}
	c.UploadsMax = cmp.Or(c.UploadsMax, 8)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 30*time.Second)
	client := s3.NewFromConfig(config, func(o *s3.Options) {
		o.UsePathStyle = c.Endpoint != ""
		o.HTTPSignerV4 = awsclient.UncachedSigner{PlainPaths: true}
		o.APIOptions = append(o.APIOptions, awsclient.Observed("s3", c.Observe))
		// Ranges and composed objects have no checksum of the whole: that is no news.
		o.DisableLogOutputChecksumValidationSkipped = true
		c.Checksums.apply(o)
	})
	b := &bucket{
		client: client, name: c.Bucket, prefix: prefix, timeout: c.ReadTimeout, slots: make(chan struct{}, c.UploadsMax),
	}
	b.presign = newPresignClient(client)
	b.upload = newUploader(client, c.Bucket)
	return b, nil
}

// keyPrefix returns a prefix with a slash at its end only, or [ErrKey].
func keyPrefix(prefix string) (string, error) {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return "", nil
	}
	return prefix + "/", checkKey(prefix)
}

// KeyOf returns an object's key without the prefix; false if it is not below the prefix.
func (c S3Config) KeyOf(key string) (string, bool) {
	prefix, err := keyPrefix(c.Prefix)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(key, prefix)
}

// bucketKey returns a key with the prefix, as it is in the bucket.
func (b *bucket) bucketKey(key string) *string { return aws.String(b.prefix + key) }

// Put implements [Store].
func (b *bucket) Put(ctx context.Context, key string, r io.Reader) (Info, error) {
	info, err := b.put(ctx, key, r, nil)
	if err != nil {
		return Info{}, fmt.Errorf("put object: %w", s3WriteError(err))
	}
	return info, nil
}

// put stores an object. known is its digest, or nil if that is to be made.
func (b *bucket) put(ctx context.Context, key string, r io.Reader, known Digest) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return Info{}, ctx.Err()
	}
	counted := newCountingReader(r)
	counted.blocksKnown = known != nil
	etag, err := b.upload(ctx, *b.bucketKey(key), counted)
	if err != nil {
		return Info{}, err
	}
	info := Info{Key: key, Bytes: counted.bytes, ETag: etag, Modified: time.Now(), Digest: known}
	if known == nil {
		info.Digest = counted.blocks.Sum(nil)
	}
	counted.digest.Sum(info.SHA256[:0])
	return info, nil
}

// List implements [Store].
func (b *bucket) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: b.bucketKey(prefix)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Info{}, fmt.Errorf("list objects: %w", s3Error(err)))
				return
			}
			for _, o := range page.Contents {
				info := Info{
					Key: strings.TrimPrefix(aws.ToString(o.Key), b.prefix), Bytes: aws.ToInt64(o.Size), ETag: aws.ToString(o.ETag),
					Modified: aws.ToTime(o.LastModified),
				}
				if checkKey(info.Key) == nil && !yield(info, nil) {
					return
				}
			}
		}
	}
}

// Delete implements [Store].
func (b *bucket) Delete(ctx context.Context, _ Reason, keys ...string) error {
	if err := checkKeys(keys...); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	for len(keys) > 0 {
		n := min(len(keys), 1000)
		ids := make([]types.ObjectIdentifier, n)
		for i, key := range keys[:n] {
			ids[i].Key = b.bucketKey(key)
		}
		keys = keys[n:]
		out, err := b.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &b.name, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return fmt.Errorf("delete object: %w", s3Error(err))
		}
		for _, e := range out.Errors {
			if code := aws.ToString(e.Code); code != "NoSuchKey" {
				return fmt.Errorf("delete object: the server says %s", code)
			}
		}
	}
	return nil
}

// s3Error wraps an answer in the error that callers branch on.
func s3Error(err error) error {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		return err
	}
	switch awsclient.Code(err) { // an answer to HEAD has none
	case "NoSuchBucket", "InvalidBucketName":
		return fmt.Errorf("%w: %w", ErrNoBucket, err)
	case noSuchUpload: // no object is missing
		return err
	}
	switch response.HTTPStatusCode() {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", ErrChanged, err)
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: %w", ErrRange, err)
	}
	return s3WriteError(err)
}

// s3WriteError is s3Error for writes: a 404 means a missing bucket or multipart upload, not a missing object.
func s3WriteError(err error) error {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusInsufficientStorage {
		return fmt.Errorf("%w: %w", ErrStorageFull, err)
	}
	return err
}

// copySource names an object in the form that a copy wants it: escaped, but for the slashes.
func copySource(bucket, key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		// Some servers read a plus as a space, all read %20 as one.
		segments[i] = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	}
	return bucket + "/" + strings.Join(segments, "/")
}
