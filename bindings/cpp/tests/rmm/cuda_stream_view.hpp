/* A stand-in for RMM's header, with its signatures: RMM itself needs CUDA's headers. */
#pragma once

struct CUstream_st;

namespace rmm {

class cuda_stream_view {
public:
    constexpr cuda_stream_view() = default;
    constexpr cuda_stream_view(CUstream_st *stream) noexcept : stream_(stream) {}
    constexpr CUstream_st *value() const noexcept
    {
        return stream_;
    }

private:
    CUstream_st *stream_ = nullptr;
};

} // namespace rmm
