/*
 * cuda_runtime_api.h - the part of the CUDA runtime's interface that the emulator has: names, numbers and layouts are
 * CUDA 13's, so that what is compiled or bound for the one finds the other.
 */
#ifndef MUONIUM_EMULATED_CUDA_RUNTIME_API_H
#define MUONIUM_EMULATED_CUDA_RUNTIME_API_H

#include <stddef.h>

#define CUDART_VERSION 13000

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cudaError {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInitializationError = 3,
  cudaErrorCudartUnloading = 4,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevicePointer = 17,
  cudaErrorInvalidMemcpyDirection = 21,
  cudaErrorInsufficientDriver = 35,
  cudaErrorDevicesUnavailable = 46,
  cudaErrorIncompatibleDriverContext = 49,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorDeviceNotLicensed = 102,
  cudaErrorInvalidKernelImage = 200,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorECCUncorrectable = 214,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorIllegalState = 401,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorAssert = 710,
  cudaErrorHostMemoryAlreadyRegistered = 712,
  cudaErrorHostMemoryNotRegistered = 713,
  cudaErrorMisalignedAddress = 716,
  cudaErrorLaunchFailure = 719,
  cudaErrorCooperativeLaunchTooLarge = 720,
  cudaErrorNotPermitted = 800,
  cudaErrorNotSupported = 801,
  cudaErrorSystemNotReady = 802,
  cudaErrorSystemDriverMismatch = 803,
  cudaErrorCompatNotSupportedOnDevice = 804,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureMerge = 902,
  cudaErrorStreamCaptureUnmatched = 903,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorStreamCaptureImplicit = 906,
  cudaErrorCapturedEvent = 907,
  cudaErrorStreamCaptureWrongThread = 908,
  cudaErrorUnknown = 999
} cudaError;
typedef cudaError cudaError_t;

typedef enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMaxBlockDimX = 2,
  cudaDevAttrMaxBlockDimY = 3,
  cudaDevAttrMaxBlockDimZ = 4,
  cudaDevAttrMaxGridDimX = 5,
  cudaDevAttrMaxGridDimY = 6,
  cudaDevAttrMaxGridDimZ = 7,
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrWarpSize = 10,
  cudaDevAttrMaxRegistersPerBlock = 12,
  cudaDevAttrClockRate = 13,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrIntegrated = 18,
  cudaDevAttrCanMapHostMemory = 19,
  cudaDevAttrComputeMode = 20,
  cudaDevAttrConcurrentKernels = 31,
  cudaDevAttrEccEnabled = 32,
  cudaDevAttrMemoryClockRate = 36,
  cudaDevAttrGlobalMemoryBusWidth = 37,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39,
  cudaDevAttrAsyncEngineCount = 40,
  cudaDevAttrUnifiedAddressing = 41,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrManagedMemory = 83,
  cudaDevAttrPageableMemoryAccess = 88,
  cudaDevAttrCooperativeLaunch = 95,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
  cudaDevAttrHostRegisterSupported = 99,
  cudaDevAttrMaxBlocksPerMultiprocessor = 106,
  cudaDevAttrMemoryPoolsSupported = 115
} cudaDeviceAttr;

typedef enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4
} cudaMemcpyKind;

typedef enum cudaMemoryType {
  cudaMemoryTypeUnregistered = 0,
  cudaMemoryTypeHost = 1,
  cudaMemoryTypeDevice = 2,
  cudaMemoryTypeManaged = 3
} cudaMemoryType;

typedef struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
  void* devicePointer;
  void* hostPointer;
  long reserved[8];
} cudaPointerAttributes;

typedef enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2
} cudaStreamCaptureMode;

typedef enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone = 0,
  cudaStreamCaptureStatusActive = 1,
  cudaStreamCaptureStatusInvalidated = 2
} cudaStreamCaptureStatus;

typedef enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9
} cudaFuncAttribute;

typedef enum cudaMemPoolAttr {
  cudaMemPoolReuseFollowEventDependencies = 1,
  cudaMemPoolReuseAllowOpportunistic = 2,
  cudaMemPoolReuseAllowInternalDependencies = 3,
  cudaMemPoolAttrReleaseThreshold = 4,
  cudaMemPoolAttrReservedMemCurrent = 5,
  cudaMemPoolAttrReservedMemHigh = 6,
  cudaMemPoolAttrUsedMemCurrent = 7,
  cudaMemPoolAttrUsedMemHigh = 8
} cudaMemPoolAttr;

typedef enum cudaMemAllocationType {
  cudaMemAllocationTypeInvalid = 0,
  cudaMemAllocationTypePinned = 1
} cudaMemAllocationType;

typedef enum cudaMemAllocationHandleType {
  cudaMemHandleTypeNone = 0
} cudaMemAllocationHandleType;

typedef enum cudaMemLocationType {
  cudaMemLocationTypeInvalid = 0,
  cudaMemLocationTypeDevice = 1,
  cudaMemLocationTypeHost = 2
} cudaMemLocationType;

typedef struct cudaMemLocation {
  cudaMemLocationType type;
  int id;
} cudaMemLocation;

typedef struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  cudaMemAllocationHandleType handleTypes;
  cudaMemLocation location;
  void* win32SecurityAttributes;
  size_t maxSize;
  unsigned short usage;
  unsigned char reserved[54];
} cudaMemPoolProps;
typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
typedef struct CUgraph_st* cudaGraph_t;
typedef struct CUgraphExec_st* cudaGraphExec_t;
typedef struct CUmemPoolHandle_st* cudaMemPool_t;

/* The streams that have no handle: the legacy one (also 0) and each thread's. */
#define cudaStreamLegacy ((cudaStream_t)0x1)
#define cudaStreamPerThread ((cudaStream_t)0x2)

#define cudaStreamDefault 0x00
#define cudaStreamNonBlocking 0x01
#define cudaEventDefault 0x00
#define cudaEventBlockingSync 0x01
#define cudaEventDisableTiming 0x02
#define cudaHostAllocDefault 0x00
#define cudaHostAllocPortable 0x01
#define cudaHostAllocMapped 0x02
#define cudaHostAllocWriteCombined 0x04
#define cudaHostRegisterDefault 0x00
#define cudaHostRegisterPortable 0x01
#define cudaHostRegisterMapped 0x02
#define cudaHostRegisterReadOnly 0x08
#define cudaGraphInstantiateFlagAutoFreeOnLaunch 1
#define cudaGraphInstantiateFlagUpload 2

#ifdef __cplusplus
#define MU_DEFAULT(value) = value
#else
#define MU_DEFAULT(value)
#endif
#define MU_RUNTIME __attribute__((visibility("default")))

MU_RUNTIME cudaError_t cudaDriverGetVersion(int* driverVersion);
MU_RUNTIME cudaError_t cudaRuntimeGetVersion(int* runtimeVersion);
MU_RUNTIME const char* cudaGetErrorName(cudaError_t error);
MU_RUNTIME const char* cudaGetErrorString(cudaError_t error);
MU_RUNTIME cudaError_t cudaGetLastError(void);
MU_RUNTIME cudaError_t cudaPeekAtLastError(void);
MU_RUNTIME cudaError_t cudaGetDeviceCount(int* count);
MU_RUNTIME cudaError_t cudaGetDevice(int* device);
MU_RUNTIME cudaError_t cudaSetDevice(int device);
MU_RUNTIME cudaError_t cudaDeviceSynchronize(void);
MU_RUNTIME cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device);
MU_RUNTIME cudaError_t cudaDeviceGetPCIBusId(char* pciBusId, int len, int device);
MU_RUNTIME cudaError_t cudaDeviceGetStreamPriorityRange(int* leastPriority, int* greatestPriority);
MU_RUNTIME cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
MU_RUNTIME cudaError_t cudaStreamCreateWithFlags(cudaStream_t* pStream, unsigned int flags);
MU_RUNTIME cudaError_t cudaStreamCreateWithPriority(cudaStream_t* pStream, unsigned int flags, int priority);
MU_RUNTIME cudaError_t cudaStreamGetDevice(cudaStream_t hStream, int* device);
MU_RUNTIME cudaError_t cudaStreamQuery(cudaStream_t stream);
MU_RUNTIME cudaError_t cudaStreamSynchronize(cudaStream_t stream);
MU_RUNTIME cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags MU_DEFAULT(0));
MU_RUNTIME cudaError_t cudaStreamDestroy(cudaStream_t stream);
MU_RUNTIME cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags);
MU_RUNTIME cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream MU_DEFAULT(0));
MU_RUNTIME cudaError_t cudaEventQuery(cudaEvent_t event);
MU_RUNTIME cudaError_t cudaEventSynchronize(cudaEvent_t event);
MU_RUNTIME cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end);
MU_RUNTIME cudaError_t cudaEventDestroy(cudaEvent_t event);
MU_RUNTIME cudaError_t cudaMalloc(void** devPtr, size_t size);
MU_RUNTIME cudaError_t cudaFree(void* devPtr);
MU_RUNTIME cudaError_t cudaMallocAsync(void** devPtr, size_t size, cudaStream_t hStream);
MU_RUNTIME cudaError_t cudaFreeAsync(void* devPtr, cudaStream_t hStream);
MU_RUNTIME cudaError_t cudaMemcpy(void* dst, const void* src, size_t count, cudaMemcpyKind kind);
MU_RUNTIME cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t count, cudaMemcpyKind kind, cudaStream_t stream MU_DEFAULT(0));
MU_RUNTIME cudaError_t cudaMemcpy2DAsync(void* dst, size_t dpitch, const void* src, size_t spitch, size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream MU_DEFAULT(0));
MU_RUNTIME cudaError_t cudaMemset(void* devPtr, int value, size_t count);
MU_RUNTIME cudaError_t cudaMemsetAsync(void* devPtr, int value, size_t count, cudaStream_t stream MU_DEFAULT(0));
MU_RUNTIME cudaError_t cudaHostAlloc(void** pHost, size_t size, unsigned int flags);
MU_RUNTIME cudaError_t cudaFreeHost(void* ptr);
MU_RUNTIME cudaError_t cudaHostGetDevicePointer(void** pDevice, void* pHost, unsigned int flags);
MU_RUNTIME cudaError_t cudaHostRegister(void* ptr, size_t size, unsigned int flags);
MU_RUNTIME cudaError_t cudaHostUnregister(void* ptr);
MU_RUNTIME cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* ptr);
MU_RUNTIME cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* memPool, int device);
MU_RUNTIME cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* memPool, int device);
MU_RUNTIME cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t memPool);
MU_RUNTIME cudaError_t cudaMemPoolCreate(cudaMemPool_t* memPool, const cudaMemPoolProps* poolProps);
MU_RUNTIME cudaError_t cudaMemPoolDestroy(cudaMemPool_t memPool);
MU_RUNTIME cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t memPool, cudaMemPoolAttr attr, void* value);
MU_RUNTIME cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t memPool, cudaMemPoolAttr attr, void* value);
MU_RUNTIME cudaError_t cudaMemPoolTrimTo(cudaMemPool_t memPool, size_t minBytesToKeep);
MU_RUNTIME cudaError_t cudaMallocFromPoolAsync(void** ptr, size_t size, cudaMemPool_t memPool, cudaStream_t stream);
MU_RUNTIME cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
MU_RUNTIME cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* pGraph);
MU_RUNTIME cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* pCaptureStatus);
MU_RUNTIME cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode);
MU_RUNTIME cudaError_t cudaGraphInstantiate(cudaGraphExec_t* pGraphExec, cudaGraph_t graph, unsigned long long flags MU_DEFAULT(0));
MU_RUNTIME cudaError_t cudaGraphUpload(cudaGraphExec_t graphExec, cudaStream_t stream);
MU_RUNTIME cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream);
MU_RUNTIME cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec);
MU_RUNTIME cudaError_t cudaGraphDestroy(cudaGraph_t graph);
MU_RUNTIME cudaError_t cudaStreamCreate(cudaStream_t* pStream);
MU_RUNTIME cudaError_t cudaEventCreate(cudaEvent_t* event);
MU_RUNTIME cudaError_t cudaFuncSetAttribute(const void* func, cudaFuncAttribute attr, int value);

#ifdef __cplusplus
}
#endif

#endif
