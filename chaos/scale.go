package main

import "context"

func scale(ctx context.Context, c config) error { return nil }
