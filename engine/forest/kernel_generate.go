package forest

//go:generate go run -C asm . -file score-avx512 -out ../kernel_score_avx512_amd64.s -stubs ../kernel_score_avx512_amd64.go -pkg forest
//go:generate go run -C asm . -file score-avx2 -out ../kernel_score_avx2_amd64.s -stubs ../kernel_score_avx2_amd64.go -pkg forest
//go:generate go run -C asm . -file bin-avx512 -out ../kernel_bin_avx512_amd64.s -stubs ../kernel_bin_avx512_amd64.go -pkg forest
//go:generate go run -C asm . -file few -out ../kernel_few_amd64.s -stubs ../kernel_few_amd64.go -pkg forest
//go:generate go run -C asm . -file row-avx512 -out ../kernel_row_avx512_amd64.s -stubs ../kernel_row_avx512_amd64.go -pkg forest
//go:generate go run -C asm . -file bin-avx2 -out ../kernel_bin_avx2_amd64.s -stubs ../kernel_bin_avx2_amd64.go -pkg forest
