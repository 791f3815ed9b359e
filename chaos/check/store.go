package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// MarkKey is the object that says whose the bucket is.
const MarkKey = "millrace-installation.json"

// Mark is what stands there.
type Mark struct {
	Installation string `json:"installation"`
	Sweeps       int64  `json:"sweeps"`
	Disputed     bool   `json:"disputed"`
}

// Mark reads the bucket's mark.
func (c *Checker) Mark(ctx context.Context) (m Mark, err error) {
	object, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: aws.String(MarkKey)})
	if err != nil {
		return m, fmt.Errorf("read mark: %w", err)
	}
	defer func() { _ = object.Body.Close() }()
	if err := json.NewDecoder(object.Body).Decode(&m); err != nil {
		return m, fmt.Errorf("read mark: %w", err)
	}
	return m, nil
}

// Put stores an object.
func (c *Checker) Put(ctx context.Context, key string, content []byte) error {
	_, err := c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: &key, Body: bytes.NewReader(content)})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Objects lists the keys that begin with a prefix.
func (c *Checker) Objects(ctx context.Context, prefix string) (keys []string, err error) {
	pages := s3.NewListObjectsV2Paginator(c.s3, &s3.ListObjectsV2Input{Bucket: &c.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list objects: %w", err)
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys, nil
}

// Missing lists which of the files of predictions are not there.
func (c *Checker) Missing(ctx context.Context, list []Prediction) (keys []string, err error) {
	all, err := c.Objects(ctx, "")
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(all))
	for _, key := range all {
		there[key] = true
	}
	for _, p := range list {
		for _, key := range []string{p.UploadKey, p.ResultKey, p.RejectsKey} {
			if !there[key] {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}
