package forest

//go:generate go run -C asm . -file score-avx512 -out ../kernel_score_avx512_amd64.s -stubs ../kernel_score_avx512_amd64.go -pkg forest
//go:generate go run -C asm . -file bin-avx512 -out ../kernel_bin_avx512_amd64.s -stubs ../kernel_bin_avx512_amd64.go -pkg forest
//go:generate go run -C asm . -file few -out ../kernel_few_amd64.s -stubs ../kernel_few_amd64.go -pkg forest
