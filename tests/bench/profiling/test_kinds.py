from __future__ import annotations

import pytest

from bench.profiling.kinds import KINDS, kind_of

KERNELS = {
    "volta_sgemm_64x64_nt": "gemm",
    "ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x3_tn": "gemm",
    "nvjet_tst_128x256_64x4_2x1_v_bz_TNT": "gemm",
    "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1": "gemm",
    "void cutlass::device_kernel<cutlass3x_sm100_tensorop_s128x256x16gemm_bf16>": "gemm",
    "void cublasLt::splitKreduce_kernel<32, 16, int, float>": "gemm",
    "triton_tem_fused_mm_0": "gemm",
    "sm80_xmma_fprop_implicit_gemm_indexed_tf32f32_f32_nhwckrsc_nhwc": "conv",
    "void cutlass__5x_cudnn::Kernel<cutlass_tensorop_s1688dgrad_optimized_tf32>": "conv",
    "cudnn_infer_volta_scudnn_128x64_relu_medium_nn_v1": "conv",
    "void cudnn::ops::nchwToNhwcKernel<float, float>": "conv",
    "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128>>": "attention",
    "void cutlass::device_kernel<flash::FlashAttnFwdSm90<flash::CollectiveMainloop>>": "attention",
    "cudnn_generated_fort_native_sdpa_sm100_flash_fprop_f16_knob_3": "attention",
    "fmha_cutlassF_f32_aligned_64x64_rf_sm80": "attention",
    "void cudnn::bn_fw_tr_1C11_kernel_NCHW<float, float>": "norm",
    "void at::native::vectorized_layer_norm_kernel<float, float>": "norm",
    "void at::native::GammaBetaBackwardCUDAKernel<float>": "norm",
    "void at::native::vectorized_elementwise_kernel<4, CUDAFunctor_add<float>>": "elementwise",
    "triton_poi_fused_convolution_relu_0": "elementwise",
    "triton_red_fused_mean_1": "reduce",
    "void at::native::reduce_kernel<512, 1, ReduceOp<float, MeanOps<float>>>": "reduce",
    "void (anonymous namespace)::softmax_warp_forward<float>": "reduce",
    "void at::native::CatArrayBatchedCopy_aligned16_contig<uint4>": "copy",
    "void at::native::fused_dropout_kernel_vec<float, float>": "dropout",
    "void at::native::multi_tensor_apply_kernel<FusedAdamMathFunctor<float>>": "optimizer",
    "ncclDevKernel_AllReduce_Sum_f32_RING_LL": "communication",
    "void at::native::max_pool_forward_nchw<float, float>": "other",
}

OPERATORS = {
    "aten::addmm": "gemm",
    "aten::bmm": "gemm",
    "aten::linear": "gemm",
    "aten::convolution_backward": "conv",
    "aten::mkldnn_convolution": "conv",
    "aten::_scaled_dot_product_flash_attention_for_cpu": "attention",
    "aten::native_layer_norm_backward": "norm",
    "aten::threshold_backward": "elementwise",
    "aten::add_": "elementwise",
    "aten::clamp_min": "elementwise",
    "aten::_log_softmax_backward_data": "reduce",
    "aten::sum": "reduce",
    "aten::max": "reduce",
    "aten::copy_": "copy",
    "aten::to": "copy",
    "aten::native_dropout": "dropout",
    "aten::_foreach_addcdiv_": "optimizer",
    "c10d::allreduce_": "communication",
    "aten::view": "other",
    "aten::empty": "other",
    "aten::topk": "other",
    "autograd::engine::evaluate_function: AddBackward0": "other",
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels(name: str) -> None:
    assert kind_of(name, "kernel") == KERNELS[name]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    assert kind_of(name, "cpu_op") == OPERATORS[name]


@pytest.mark.parametrize("category", ["gpu_memcpy", "gpu_memset"])
def test_copies_are_told_by_their_category(category: str) -> None:
    assert kind_of("anything", category) == "copy"


def test_every_kind_is_shown_above() -> None:
    assert {*KERNELS.values()} == {*OPERATORS.values()} == set(KINDS)
