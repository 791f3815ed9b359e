package objects

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/retainwise/millrace/store/awsclient"
)

// Sweep implements [Store]. Multipart uploads of other programs in the same bucket, also to the inbox, are left alone.
func (b *bucket) Sweep(ctx context.Context, age time.Duration, allow func(string) error) (int, error) {
	swept := 0
	for _, folder := range writtenFolders {
		n, err := b.sweepFolder(ctx, folder, age, allow)
		if swept += n; err != nil {
			return swept, fmt.Errorf("sweep objects: %w", err)
		}
	}
	return swept, nil
}

func (b *bucket) sweepFolder(
	ctx context.Context, folder string, age time.Duration, allow func(string) error,
) (swept int, err error) {
	pages := s3.NewListMultipartUploadsPaginator(b.client,
		&s3.ListMultipartUploadsInput{Bucket: &b.name, Prefix: b.bucketKey(folder)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return swept, s3Error(err)
		}
		for _, u := range page.Uploads {
			key := strings.TrimPrefix(aws.ToString(u.Key), b.prefix)
			// A server that does not know the prefix lists everything.
			if !strings.HasPrefix(aws.ToString(u.Key), *b.bucketKey(folder)) || time.Since(aws.ToTime(u.Initiated)) < age {
				continue
			}
			if allow != nil {
				if err := allow(key); err != nil {
					return swept, err
				}
			}
			if err := b.abort(ctx, key, aws.ToString(u.UploadId)); err != nil {
				return swept, err
			}
			swept++
		}
	}
	return swept, nil
}

// abort ends a multipart upload. One that has ended already is fine.
func (b *bucket) abort(ctx context.Context, key, id string) error {
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &b.name, Key: b.bucketKey(key), UploadId: &id,
	})
	if err := s3Error(err); err != nil && !errors.Is(err, ErrNotFound) && awsclient.Code(err) != noSuchUpload {
		return err
	}
	return nil
}

// noSuchUpload is what S3 calls a multipart upload that is over.
const noSuchUpload = "NoSuchUpload"
