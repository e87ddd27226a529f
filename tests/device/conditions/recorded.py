"""What devices print, shortened. Formats as in Raspberry Pi's documentation of vcgencmd and AOSP's
ThermalManagerService.dump; figures as owners published them."""

PI = {"vcgencmd get_throttled": "throttled=0x0\n", "vcgencmd measure_temp": "temp=52.7'C\n",
      "vcgencmd measure_clock arm": "frequency(0)=2400033792\n"}

PIXEL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 3
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 4
\tkilled: false
\tbroadcasts count: -1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=91.0, mType=0, mName=BIG, mStatus=0}
\tTemperature{mValue=1250.0, mType=6, mName=vdroop2, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=8900.0, mType=7, mName=soft_ocp_gpu, mStatus=0}
\tTemperature{mValue=36.0, mType=1, mName=G3D, mStatus=0}
\tTemperature{mValue=52.000004, mType=0, mName=MID, mStatus=0}
\tTemperature{mValue=NaN, mType=0, mName=LITTLE, mStatus=0}
\tTemperature{mValue=-0.05, mType=-1, mName=USB2-MINUS-USB, mStatus=0}
\tTemperature{mValue=22.771002, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
\tTemperature{mValue=29.6, mType=2, mName=battery, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-2}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=VIRTUAL-SKIN, mHotThrottlingThresholds=[NaN, 39.0, 43.0, 45.0, 47.0]}
"""
NO_HAL = """IsStatusOverride: false
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=99.9, mType=0, mName=old, mStatus=0}
HAL Ready: false
"""
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Charge counter: 4021000
  status: 2
  health: 2
  present: true
  level: 84
  scale: 100
  voltage: 4201
  temperature: 296
  technology: Li-ion
"""
PHONE = {"dumpsys thermalservice": PIXEL, "dumpsys battery": BATTERY, "settings get global low_power": "0\n",
         "getprop ro.product.model": "Pixel 8\n"}
